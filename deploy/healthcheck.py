"""Exit with 0 if the site in this container responds. The image has no curl."""

import os
import sys
from http.client import HTTPConnection
from urllib.parse import urlsplit

import idna

# The Host header is that of the public URL in the form of IDNA 2008, as browsers send it: others are rejected.
name, colon, public_port = urlsplit(os.environ.get("QUART_BASE_URL", "http://localhost")).netloc.partition(":")
host = (name if name.isascii() else idna.encode(name, uts46=True).decode()) + colon + public_port
port = int(os.environ["QUART_BIND"].rpartition(":")[2])
connection = HTTPConnection("127.0.0.1", port, timeout=4)
connection.request("GET", "/healthz", headers={"Host": host})
sys.exit(connection.getresponse().status != 200)

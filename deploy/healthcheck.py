"""Exit with 0 if the site in this container responds. The image has no curl."""

import os
import sys
from http.client import HTTPConnection
from urllib.parse import urlsplit

# The Host header is that of the public URL, because the site rejects unknown hosts.
host = urlsplit(os.environ.get("QUART_BASE_URL", "http://localhost")).netloc.encode("idna").decode()
port = int(os.environ["QUART_BIND"].rpartition(":")[2])
connection = HTTPConnection("127.0.0.1", port, timeout=4)
connection.request("GET", "/healthz", headers={"Host": host})
sys.exit(connection.getresponse().status != 200)

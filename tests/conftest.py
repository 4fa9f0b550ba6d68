"""The fixtures are in support/."""

import os

pytest_plugins = ["support"]

for name in [name for name in os.environ if name.startswith("QUART_")]:
    del os.environ[name]  # the settings of a developer change no test
os.environ["QUART_SKIP_DOTENV"] = "1"

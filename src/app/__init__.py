"""An async web site with real accounts: clone it and carry on."""

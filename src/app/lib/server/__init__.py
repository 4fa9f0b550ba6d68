"""The server: one process or several workers on Hypercorn, and patches for its security holes."""

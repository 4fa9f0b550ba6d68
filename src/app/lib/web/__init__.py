"""Templates, static files, signatures and content negotiation."""

"""What every request passes, from the socket inwards."""

"""Ray in containers, and the client outside of them."""

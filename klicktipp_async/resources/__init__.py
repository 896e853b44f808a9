"""Every endpoint once, grouped as the vendor groups them."""

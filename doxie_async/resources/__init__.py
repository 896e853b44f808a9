"""Every operation once, grouped as the reference groups them."""

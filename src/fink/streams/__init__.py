"""Where alerts come from, and where committed results go."""

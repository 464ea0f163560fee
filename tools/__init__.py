"""Development scripts: nothing of the program imports them."""

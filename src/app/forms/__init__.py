"""Forms: the syntax of user input. Rules that need the database are in services/."""

"""The code that `quart --app run new` generates for a noun: its files, and lines in the files that list them."""

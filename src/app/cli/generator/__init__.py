"""What `quart --app run new` writes for a noun: one file in each layer, and lines in the files that list them."""

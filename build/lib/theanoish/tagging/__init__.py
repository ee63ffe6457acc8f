"""A person's own songs: their tags, where in the song each is strong, as text, tables, a picture and a page to hear."""

"""The tags that a voice assistant learns: slots on words, however a dataset writes them."""

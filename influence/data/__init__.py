"""From any source to one `Dataset`: columns, labels, tags, cleaning, storage."""

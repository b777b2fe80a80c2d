"""What `arena new` writes: a file each, with `$name`s to fill in (see `arena.scaffold`)."""

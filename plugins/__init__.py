"""The plugins that come with arena, found through the same door as everybody's."""

"""A zoo of tickets: judged networks with their masks as files that plain timm loads; a folder, a bucket or a hub."""

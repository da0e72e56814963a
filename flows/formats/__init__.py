"""How reports are written for people and programs; each module knows one kind of file."""

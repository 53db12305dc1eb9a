"""The kinds of columns, a file each: what facts are gathered of one, and how it is encoded."""

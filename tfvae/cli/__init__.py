"""The command line: parsers, flags, and one file a family of verbs.

It may import everything; nothing else imports it.
"""

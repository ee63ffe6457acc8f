"""The one exception that the scripts turn into a message and exit status 2."""


class InputError(Exception):
    """Something the user gave cannot be used.

    The message names the file, the field and what to do, since it is all that the user sees.
    """

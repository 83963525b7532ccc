"""People's own editors: the JSON-RPC editor protocol of the Teamtype project, over stdio.

Read in this order:

- ``framing``   Content-Length frames, as bytes come
- ``rpc``       what is in them: requests, replies, errors; hostile until checked
- ``uris``      which file of which shared folder a URI means
- ``relay``     one text between its editor and the folder's process: nothing is lost between them
- ``live_text`` one open text: requests in, replies and notifications out
- ``folder``    the connection to one folder's process, made again whenever it ends
- ``server``    all of one editor
- ``stdio``     its standard input and output
"""

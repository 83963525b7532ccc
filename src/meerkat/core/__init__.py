"""The mind of meerkat: pure. No asyncio, socket, file, clock or dice; events in, effects out.

Read in this order:

- ``ids``         typed bytes: pools, members, authors, files, versions, contents
- ``operation``   the signed, chained entry of an author's log; ``actions`` is what it can say
- ``heads``       author -> sequence: what a peer has, and what it lacks
- ``ports``       what a store must offer
- ``roster``      who may be here
- ``log``         which operations are admitted, and in which order they are applied
- ``vectors``     what was written, what of it was seen
- ``tree``        files, versions, folders; ``view`` turns them into paths
- ``text``, ``text_update``, ``edits``, ``diff``, ``text_file``   live texts
- ``bodies``      what versions are made of, found in the log
- ``texts``       which texts are loaded; building one from its body and the log
- ``chunks``      content-defined chunks of everything else
- ``replica``     applies operations to tree and texts
- ``files``       what the folder and the peer say to each other
- ``disk``        what the disk is known to hold
- ``local``       local changes -> operations
- ``planner``     what the disk should hold -> jobs
- ``blobs``       which chunk to ask from whom; ``holdings`` what we can give
- ``messages``, ``wire``   what peers say to each other
- ``sync``        heads on every link, until nothing is missing
- ``mesh``        who is linked, whom to dial
- ``door``        invitations and knocks
- ``events``, ``effects``, ``peer``   the one way in and out; ``peer_config`` its numbers
"""

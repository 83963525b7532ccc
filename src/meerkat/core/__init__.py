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
- ``timing``, ``allowance``   shared words for times; token buckets
- ``gate``        who may be a neighbor; ``roster_gate`` asks the roster
- ``contact``, ``book``, ``sampler``   where everybody is, signed; whom to choose
- ``neighbors``, ``attempts``, ``handshake``, ``admission``   links, and who becomes one
- ``walks``       JOIN_REQ: how a newcomer finds its place
- ``seeking``     whom to dial, when; ``beacon``, ``merges`` notice and join parts of a pool
- ``overlay``     the layer made of these; ``overlay_config`` its numbers
- ``trees``, ``gossip``   Plumtree: pushed here, announced there; broadcasts that nobody keeps
- ``sync``        operations on the same trees, and heads until nothing is missing
- ``sealed``, ``letters``, ``courier``, ``pointers``   messages for one member, over several hops
- ``talk``, ``talk_table``   what people say: lines, letters, names
- ``presence``    who is here: the picture of the network
- ``network``     all that is not about operations and files, in one place
- ``editing``, ``lines``, ``ot``   people's own editors: ranges, revisions, what crossed on the way
- ``y_protocol``, ``y_awareness``, ``bridge``, ``bridge_table``   Yjs editors, and their document
- ``anchors``, ``cursors``   a place in a text, whatever is typed around it; who is where
- ``sessions``    which editor has which text open
- ``saves``       whose save of an open file it was
- ``folder_side``   all that is about the folder
- ``door``, ``reception``   invitations and knocks
- ``writing``     what our own side writes, pushed when it is written
- ``events``, ``effects``, ``peer``   the one way in and out; ``peer_config`` its numbers
"""

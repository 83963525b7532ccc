"""Links between members: bytes over gRPC with mutual TLS. Meaning lives in ``meerkat.core``.

Reading order: ``base`` (the port), ``options`` (every number), ``identity`` (who a certificate
is), ``frames`` and ``outbox`` (what is written), ``streams`` and ``grpc_link`` (one link),
``dialing`` and ``grpc_transport`` (many links), ``door`` (the only thing a stranger can reach).
"""

import os

# gRPC prints every refused handshake on stderr, across whatever is on the screen; what matters
# comes to us as an error. Read when grpc is first imported, hence here; an own setting is kept.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

// What the folder's process says (docs/guide.md has the tables; core/status.py the values).

export type Kind = "text" | "blob" | "link" | "folder" | "database";

export interface FileFacts {
  path: string;
  kind: Kind;
  size: number;
  executable: boolean;
  conflict: boolean;
  /** Of a database: what is wrong, if anything; and how many rows are set aside. */
  problem: string;
  aside: number;
}

export interface PersonFacts {
  user: string;
  name: string;
  member: string;
  color: string;
  path: string;
  own: boolean;
}

export interface PeerFacts {
  author: string;
  member: string;
  name: string;
  address: string;
  direction: string;
  in_sync: boolean;
  degree: number;
}

export interface MemberFacts {
  member: string;
  name: string;
  role: string;
  linked: boolean;
  color: string;
}

export interface StatusFacts {
  folder: string;
  member: string;
  paused: boolean;
  pool_name: string;
  name: string;
  author: string;
  lamport: number;
  files: number;
  folders: number;
  content_bytes: number;
  in_sync: boolean;
  pending_files: number;
  peers: PeerFacts[];
  members: MemberFacts[];
  transfers: { path: string; done_bytes: number; total_bytes: number }[];
  reading: { path: string; done_bytes: number; total_bytes: number }[];
  conflicts: { path: string; copy: string; name: string }[];
  problems: { path: string; text: string }[];
}

export interface ChatFacts {
  id: string;
  from: string;
  name: string;
  to: string;
  to_name: string;
  text: string;
  wall_ms: number;
  own: boolean;
  old: boolean;
}

export interface NodeFacts {
  author: string;
  member: string;
  name: string;
  here: boolean;
  linked: boolean;
  degree: number;
  neighbors: string[];
  dialable: boolean;
  age: number;
}

export interface NetworkFacts {
  author: string;
  nodes: NodeFacts[];
}

export interface Event {
  event: string;
  [field: string]: unknown;
}

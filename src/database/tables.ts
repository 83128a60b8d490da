import type { Generated, Selectable } from 'kysely';

/**
 * The tables, the same in SQLite and PostgreSQL. Moments are milliseconds since 1970, truths 0 or 1, ids UUIDs as text,
 * digests lower-case hex unless a comment says otherwise.
 */
export interface Tables {
  fleet: FleetTable;
  users: UserTable;
  sessions: SessionTable;
  api_keys: ApiKeyTable;
  login_attempts: LoginAttemptTable;
  audit: AuditTable;
  contents: ContentTable;
  files: FileTable;
  file_readers: FileReaderTable;
  servers: ServerTable;
  holdings: HoldingTable;
  grants: GrantTable;
  events: EventTable;
  relays: RelayTable;
  leases: LeaseTable;
  information_servers: InformationServerTable;
  signing_keys: SigningKeyTable;
  uploads: UploadTable;
  copies: CopyTable;
  drops: DropTable;
  repairs: RepairTable;
}

/** Facts of the fleet: `id`, `join-token` (digest). */
interface FleetTable {
  key: string;
  value: string;
}

interface UserTable {
  id: string;
  /** Lower-case. */
  email: string;
  role: 'reader' | 'publisher' | 'admin';
  /** Salted hash in PHC string format. */
  password: string;
  disabled: number;
  created_at: number;
}

/** What a person holds is a random token; here is only its SHA-256. */
interface SessionTable {
  digest: string;
  user_id: string;
  created_at: number;
  expires_at: number;
}

interface ApiKeyTable {
  digest: string;
  id: string;
  user_id: string;
  name: string;
  /** First characters of the key. */
  start: string;
  created_at: number;
  expires_at: number | null;
  last_used_at: number | null;
}

interface LoginAttemptTable {
  /** `account:EMAIL` or `address:IP`. */
  key: string;
  failures: number;
  last_at: number;
  /** No attempt counts before. */
  locked_until: number;
}

interface AuditTable {
  id: string;
  at: number;
  /** Email or server name; null for the fleet itself. */
  actor: string | null;
  address: string | null;
  /** Such as `user.created`. */
  action: string;
  /** Id of what was changed. */
  subject: string | null;
  /** JSON. */
  details: string;
}

/** Bytes by what they are. Two files can have the same content. */
interface ContentTable {
  id: Generated<number>;
  manifest_sha256: string;
  sha256: string;
  size: number;
  chunk_size: number;
  /** Digests of the chunks, 32 bytes each; null until a server that holds it has told. */
  chunk_digests: Uint8Array | null;
  created_at: number;
}

interface FileTable {
  number: Generated<number>;
  id: string;
  /** Unique among those not deleted. */
  name: string;
  /** As `foldName` makes it, for searching and sorting. */
  name_folded: string;
  content_id: number;
  /** The content's size, here for sorting. */
  size: number;
  owner_id: string | null;
  visibility: 'everyone' | 'users';
  created_at: number;
  deleted_at: number | null;
  /** Copies of each chunk that are wanted, and zones to spread them over; null: it is served in place, nothing is copied. */
  replicas: Generated<number | null>;
  zones: Generated<number | null>;
  /** When its servers were told to let its chunks go: after the last grant for it. Null before, and for what is in place. */
  released_at: Generated<number | null>;
}

interface FileReaderTable {
  file_id: string;
  user_id: string;
}

interface ServerTable {
  number: Generated<number>;
  id: string;
  name: string;
  zone: string;
  url: string;
  token_digest: string;
  instance: number;
  /** What it said last, or what the leader made of its silence. */
  state: 'running' | 'paused' | 'draining' | 'stopped' | 'suspected' | 'dead';
  /** What an operator wants of it. */
  wanted: 'running' | 'paused' | 'draining' | 'stopped';
  command_revision: number;
  version: string;
  capacity: number | null;
  free: number | null;
  answers: number;
  clients: number;
  rate: number;
  bytes_sent: number;
  /** Milliseconds. */
  clock_ahead: number;
  /** What it calls the list of its holdings that is known here; 0: nothing is known. */
  holdings_version: number;
  /** Counts how often it began to tell all its holdings. */
  holdings_listing: number;
  /** 1 while it has not told the last of them. */
  holdings_open: number;
  /** Number of its holdings. */
  files: number;
  last_seen_at: number;
  registered_at: number;
  /** Bytes its chunk store may fill in all; null: it has none. */
  store_capacity: Generated<number | null>;
  store_open: Generated<number>;
  store_chunks: Generated<number>;
  store_bytes: Generated<number>;
  /** What it is to the copies that are wanted, as repair has seen it last; null: not seen yet. */
  repair_as: Generated<'open' | 'closed' | 'leaving' | 'gone' | null>;
  /** When people were told that the draining server is empty. */
  drained_at: Generated<number | null>;
}

interface HoldingTable {
  content_id: number;
  server_number: number;
  /** The chunks held, as `storedForm` writes them; null: all. */
  chunks: Uint8Array | null;
  /** Name under which this server has it in place; '' of what is stored. */
  name: string;
  /** The server's `holdings_listing` when it was told last. */
  listing: number;
  /** 1: in its chunk store, so that it counts as a copy that was asked for; 0: in place, as somebody's file. */
  stored: Generated<number>;
}

interface GrantTable {
  id: string;
  file_id: string;
  user_id: string;
  /** Digest of the session token or API key that it was asked for with: it can be renewed only while that is good. */
  credential: string;
  /** Where the client said it is. */
  zone: string | null;
  created_at: number;
  expires_at: number;
  revoked_at: number | null;
  ended_at: number | null;
  outcome: 'done' | 'failed' | 'stopped' | null;
  bytes: number | null;
}

/** The outbox: written in the transaction of the change that it tells of. */
interface EventTable {
  position: Generated<number>;
  id: string;
  kind: string;
  at: number;
  /** JSON of `Audience`. */
  audience: string;
  /** JSON. */
  data: string;
}

/** How far the outbox was passed on to a broker. */
interface RelayTable {
  name: string;
  position: number;
  epoch: number;
}

interface LeaseTable {
  name: string;
  /** Id of the information server that has it. */
  owner: string;
  url: string;
  /** Grows with every new owner. */
  epoch: number;
  expires_at: number;
}

interface InformationServerTable {
  id: string;
  url: string;
  started_at: number;
  seen_at: number;
}

interface SigningKeyTable {
  kid: string;
  /** JWK, JSON. */
  private_jwk: string;
  public_jwk: string;
  created_at: number;
  /** Signs from then on: every file server has had time to learn of it. */
  active_from: number;
  /** Signs no more, and is trusted until `expires_at`. */
  retired_at: number | null;
  expires_at: number | null;
}

/** A file that is being sent. */
interface UploadTable {
  id: string;
  name: string;
  user_id: string;
  replicas: number;
  zones: number;
  /** JSON of `Visibility`. */
  visibility: string;
  replace: number;
  created_at: number;
  /** Chunks sent for it are kept until then without a commit. */
  keep_until: number;
  /** Id of the file it became. */
  file_id: string | null;
}

/** An order to a server to get chunks of a content. At most one a server and content at a time. */
interface CopyTable {
  id: string;
  content_id: number;
  server_number: number;
  /** Bitmap of the chunks ordered, least significant bit first. */
  chunks: Uint8Array;
  bytes: number;
  ordered_at: number;
  /** Given up after that; the next look orders anew. */
  deadline: number;
}

/** Chunks that a server was told to let go: they count no more, though it may still announce them. */
interface DropTable {
  content_id: number;
  server_number: number;
  /** Bitmap, least significant bit first. */
  chunks: Uint8Array;
  ordered_at: number;
}

/** Contents whose copies are to be looked at. */
interface RepairTable {
  content_id: number;
  /** Living copies of the chunk that has the fewest; null: not looked at yet. */
  least: number | null;
  since: number;
  look_at: number;
  /** 1: its copies are to be moved to where they belong, too, though there are enough of them. */
  rebalance: Generated<number>;
}

export type UserRow = Selectable<UserTable>;
export type ServerRow = Selectable<ServerTable>;

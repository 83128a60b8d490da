/** The library's face. */
export { download } from './client/download.ts';
export { HeadwaterError, ERRORS, EXIT, type ErrorCode, type Remedy } from './core/errors.ts';
export type { BadChunk, HeaderFields, SourceFeed, SourceSpec } from './client/live-sources.ts';
export type {
  DoneEvent,
  DownloadEvent,
  DownloadOptions,
  DownloadReport,
  NoticeEvent,
  ProgressEvent,
  SourceEvent,
  SourceProgress,
  SourceReport,
  SourceState,
  StartEvent,
  Verification,
} from './client/types.ts';
export {
  connect,
  type EventsOptions,
  type Fleet,
  type FleetCredentials,
  type FleetOptions,
  type ListOptions,
} from './client/fleet/fleet.ts';
export type { FleetDownloadOptions, Granted } from './client/fleet/fleet-download.ts';
export type {
  StoreEvent,
  StoreProgress,
  StoreState,
  UploadDoneEvent,
  UploadEvent,
  UploadNoticeEvent,
  UploadOptions,
  UploadProgressEvent,
  UploadReadingEvent,
  UploadReport,
  UploadSource,
  UploadStartEvent,
} from './client/upload/types.ts';
export type { User } from './core/api/accounts.ts';
export type { FleetEvent } from './core/api/events.ts';
export type { DownloadSource, FileDetails, FileEntry } from './core/api/files.ts';
export type { ServerEntry } from './core/api/servers.ts';
export { Bitmap } from './core/bitmap.ts';
export { parseManifest, type Manifest } from './core/manifest.ts';
export { serve } from './file-server/serve.ts';
export { readManifest, type ReadManifestOptions } from './file-server/read-manifest.ts';
export type {
  ControlOptions,
  EndEvent,
  FaultEvent,
  ReadyEvent,
  ServeEvent,
  ServeOptions,
  ServerHandle,
  ServerState,
  ServerStatus,
  Serving,
  StateEvent,
  StatusEvent,
} from './file-server/serve-types.ts';
export type { HashingState } from './file-server/digests/digest-service.ts';
export type { Log } from './file-server/log.ts';

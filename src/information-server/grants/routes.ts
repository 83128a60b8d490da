import { z } from 'zod';

import { Id, NoBody, NoQuery, Nothing } from '../../core/api/common.ts';
import {
  Download,
  DownloadEnd,
  DownloadRequest,
  Renewal,
  SourcesAnswer,
  SourcesQuery,
} from '../../core/api/files.ts';
import { bearerOf, callerOf, digestOf } from '../authentication.ts';
import type { Routes } from '../context.ts';
import { keyRingOf } from '../keys/key-ring.ts';
import { readGrantedFile } from '../files/file-facts.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { catalogueOf } from './catalogue.ts';
import { downloadAnswer, tokenOf } from './download-answer.ts';
import { grantAccess, mustNotBeRevoked } from './grant-access.ts';
import { grantsOf } from './grant-batches.ts';
import { readGrantRow } from './grant-store.ts';
import { endDownload, renewGrant, revokeGrant } from './grant-changes.ts';
import { goneSignal } from './gone-signal.ts';
import { sourceWatchOf } from './source-watch.ts';
import { sourcesOf } from './sources.ts';

const Params = z.strictObject({ id: Id });
const tags = ['downloads'];
/** Longest body of these routes, bytes. */
const SMALL_BODY = 4_096;

export const grantsRoutes: Routes = (app, context) => {
  const keys = keyRingOf(context);
  const given = context.metrics.counter('headwater_grants_total', 'Grants given.');

  app.post(
    '/v1/files/:id/downloads',
    {
      bodyLimit: SMALL_BODY,
      schema: {
        tags,
        summary: 'Leave to download a file: a token, the manifest, and the servers that hold it',
        params: Params,
        querystring: NoQuery,
        body: DownloadRequest.nullish(),
        response: { 200: Download },
      },
    },
    async (request, reply) => {
      const caller = await callerOf(request, context);
      const zone = request.body?.zone;
      const granted = await grantsOf(context).give({
        caller,
        credential: digestOf(bearerOf(request)),
        fileId: request.params.id,
        zone,
        seconds: context.settings.times.grant,
      });
      const text = await downloadAnswer(granted, zone, await keys.signer(), context);
      given.add();
      // Text already: the schema documents it, and a test holds it to the schema.
      return reply.type('application/json; charset=utf-8').send(text as never);
    },
  );

  app.get(
    '/v1/downloads/:id/sources',
    {
      schema: {
        tags,
        summary: 'Its sources, at once when they are others than those of `version`, else when they change',
        params: Params,
        querystring: SourcesQuery,
        response: { 200: SourcesAnswer },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const { version, wait } = request.query;
      const { grant } = await grantAccess(request, context, id);
      mustNotBeRevoked(grant);
      const file = await fileOf(grant.file_id);
      let holders = await holdersOf(file.contentId);
      if (holders.version === version && wait > 0) {
        const gone = goneSignal(reply);
        const { contentId } = file;
        await sourceWatchOf(context).change({ contentId, grantId: id, version, time: wait * 1000, gone });
        const after = await readGrantRow(context.database.queries, id);
        if (after !== undefined) mustNotBeRevoked(after);
        await fileOf(grant.file_id);
        holders = await holdersOf(contentId);
      }
      const sources = sourcesOf(holders.list, file.id, grant.zone ?? undefined);
      return { version: holders.version, sources };
    },
  );

  app.post(
    '/v1/downloads/:id/renew',
    {
      bodyLimit: SMALL_BODY,
      schema: {
        tags,
        summary: 'Another token for the same download, good for another while',
        params: Params,
        querystring: NoQuery,
        body: NoBody,
        response: { 200: Renewal },
      },
    },
    async (request) => {
      const access = await grantAccess(request, context, request.params.id);
      const credential = access.caller === undefined ? undefined : digestOf(bearerOf(request));
      const renewed = await renewGrant(access, credential, context);
      const token = await tokenOf(renewed, await keys.signer(), context.fleet);
      return { token, expiresAt: new Date(renewed.expiresAt).toISOString() };
    },
  );

  app.post(
    '/v1/downloads/:id/end',
    {
      bodyLimit: SMALL_BODY,
      schema: {
        tags,
        summary: 'Says how it ended',
        params: Params,
        querystring: NoQuery,
        body: DownloadEnd,
        response: { 204: Nothing },
      },
    },
    async (request, reply) => {
      const { grant } = await grantAccess(request, context, request.params.id);
      await endDownload(grant, request.body, context);
      return reply.status(204).send(null);
    },
  );

  app.delete(
    '/v1/downloads/:id',
    {
      schema: {
        tags,
        summary: 'Takes the grant back: servers refuse it from now on',
        params: Params,
        querystring: NoQuery,
        body: NoBody,
        response: { 204: Nothing },
      },
    },
    async (request, reply) => {
      const { grant, caller } = await grantAccess(request, context, request.params.id);
      const by = { name: caller?.email ?? (await emailOf(grant.user_id)), address: request.ip };
      await revokeGrant(grant, by, context);
      return reply.status(204).send(null);
    },
  );

  /** Who shows a grant speaks for the account that it was given to. */
  async function emailOf(user: string): Promise<string> {
    const { queries } = context.database;
    const row = await queries.selectFrom('users').select('email').where('id', '=', user).executeTakeFirst();
    return row?.email ?? user;
  }

  async function fileOf(id: string) {
    const file = await readGrantedFile(context.database.queries, id);
    if (file !== undefined) return file;
    throw new HeadwaterError('HW_GRANT_REVOKED', 'the file of this download was deleted', {
      details: { file: id },
    });
  }

  async function holdersOf(contentId: number) {
    const holders = (await catalogueOf(context).holders.get([contentId])).get(contentId);
    return holders ?? { list: [], version: '' };
  }
};

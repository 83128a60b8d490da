import { pathOfName } from './request-name.ts';
import type { Listing } from './store.ts';

/** The list of names for programs. */
export function indexJson({ files, truncated }: Listing): string {
  const listed = files.map((file) => ({ ...file, path: pathOfName(file.name) }));
  return `${JSON.stringify({ files: listed, truncated })}\n`;
}

/** The list of names for people. */
export function indexHtml({ files, truncated }: Listing): string {
  const rows = files.map(({ name, size }) => {
    const path = escapeHtml(pathOfName(name));
    return `<tr><td><a href="${path}">${escapeHtml(name)}</a><td>${size}`;
  });
  return [
    '<!doctype html><meta charset="utf-8"><title>Files</title>',
    '<meta name="viewport" content="width=device-width">',
    '<style>body{font:1rem system-ui;margin:2rem}td{padding:.1rem 1.5rem .1rem 0}td+td{text-align:right}</style>',
    `<table><tr><th>Name<th>Bytes\n${rows.join('\n')}\n</table>`,
    truncated ? '<p>There are more files than are listed.' : '',
  ].join('\n');
}

/** Whether an Accept field asks for a page rather than data. */
export function wantsHtml(accept: string | undefined): boolean {
  return accept !== undefined && /\btext\/html\b/i.test(accept);
}

function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (each) => `&#${each.charCodeAt(0)};`);
}

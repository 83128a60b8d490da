/** Takes out of a text what must not be shown. */
export type Hide = (text: string) => string;

/** What stands in the place of a secret. */
const HIDDEN = '***';

/** `user:password@` of any URL in a text. */
const USERINFO = /(\bhttps?:\/\/)[^\s/?#@]+@/gi;
/** Query parameters that are secrets, such as the signature of a signed link. */
const SECRET_PARAMETER =
  /([?&][^=&\s#]*(?:token|signature|\bsig|secret|passw|credential|key|auth)[^=&\s#]*=)[^&\s#"']+/gi;
/** Header fields that carry a secret, whatever their exact name. */
const SECRET_FIELD = /authorization|cookie|token|secret|passw|key/i;
/** A value shorter than this is no secret, and too likely to be a part of an innocent word. */
const LEAST_SECRET = 4;

/**
 * Hides user names, passwords and signatures in URLs wherever they come from, and the values of header fields such
 * as Authorization and Cookie wherever they turn up.
 */
export function hideSecrets(headers: Readonly<Record<string, string>>): Hide {
  const values = Object.entries(headers)
    .filter(([name, value]) => SECRET_FIELD.test(name) && value.length >= LEAST_SECRET)
    .map(([, value]) => value);
  return (text) => {
    let shown = text.replaceAll(USERINFO, `$1${HIDDEN}@`).replaceAll(SECRET_PARAMETER, `$1${HIDDEN}`);
    for (const value of values) shown = shown.replaceAll(value, HIDDEN);
    return shown;
  };
}

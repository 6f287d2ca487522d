/**
 * The first key that occurs twice in one object of a JSON text, at any depth; undefined if none does.
 *
 * `JSON.parse` silently keeps the last of two equal keys, so a file that names a tensor twice would be misread.
 * `text` must be valid JSON: call this after `JSON.parse`.
 */
export function findDuplicateKey(text: string): string | undefined {
  // Strings, brackets and colons are all that matters; a string followed by a colon is a key.
  const tokens = text.matchAll(/"(?:[^"\\]|\\.)*"(?:\s*:)?|[{}]/g);
  const objects: Set<string>[] = [];
  for (const [token] of tokens) {
    if (token === '{') objects.push(new Set());
    else if (token === '}') objects.pop();
    else if (token.endsWith(':')) {
      // A value's string never ends in a colon here: it would end in its closing quote.
      const key: string = JSON.parse(token.slice(0, token.lastIndexOf('"') + 1));
      const keys = objects.at(-1);
      if (keys?.has(key)) return key;
      keys?.add(key);
    }
  }
  return undefined;
}

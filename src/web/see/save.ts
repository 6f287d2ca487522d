/** Files for the user: their names, and handing them over. */

/** Parts joined to a name that every file system takes: `Simulated cohort`, `S-1/a` -> `simulated-cohort_S-1-a.csv`. */
export function fileName(parts: readonly string[], ending: string): string {
  const clean = parts
    .map((part) =>
      part
        .normalize('NFKD')
        .replace(/[^\w.+-]+/g, '-')
        .replace(/^[-.]+|[-.]+$/g, ''),
    )
    .filter(Boolean)
    .join('_');
  return `${clean.slice(0, 120) || 'histograd'}.${ending}`;
}

/** How long a saved file's URL lives: the browser reads it after the click, and says not when. */
const URL_LIFE = 60_000;

export function saveBlob(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), URL_LIFE);
}

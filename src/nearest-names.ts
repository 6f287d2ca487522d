/** "Did you mean …?" */

/** Up to three names within two edits (case apart), nearest first. */
export function nearestNames(wanted: string, names: readonly string[]): string[] {
  const target = wanted.toUpperCase();
  return names
    .filter((name) => Math.abs(name.length - target.length) <= 2)
    .map((name) => ({ name, distance: editDistance(target, name.toUpperCase()) }))
    .filter(({ distance }) => distance <= 2)
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ name }) => name);
}

/** Levenshtein's distance. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(substitution, previous[j]! + 1, current[j - 1]! + 1));
    }
    previous = current;
  }
  return previous[b.length]!;
}

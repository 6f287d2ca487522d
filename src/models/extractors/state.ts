/** State dicts as they are published, before their names fit a module. */

/** Names and shapes of a state dict, which is all that says which network it is of. */
export type Shapes = ReadonlyMap<string, { readonly shape: readonly number[] }>;

/** The same values under other names; those renamed to null are left out. */
export function renamed<Value>(
  state: ReadonlyMap<string, Value>,
  rename: (name: string) => string | null,
): Map<string, Value> {
  const result = new Map<string, Value>();
  for (const [name, value] of state) {
    const own = rename(name);
    if (own !== null) result.set(own, value);
  }
  return result;
}

/** How many modules `<prefix>0`, `<prefix>1`, … have parameters, when the first is called `<prefix><first>`. */
export function countModules(state: Shapes, prefix: string, first = 0): number {
  const names = [...state.keys()].filter((name) => name.startsWith(prefix));
  const found = new Set(names.map((name) => name.slice(prefix.length).split('.')[0]));
  let count = 0;
  while (found.has(`${first + count}`)) count++;
  return count;
}

/** Extent `axis` of a tensor of the state dict; 0 where there is none. */
export function extent(state: Shapes, name: string, axis: number): number {
  return state.get(name)?.shape[axis] ?? 0;
}

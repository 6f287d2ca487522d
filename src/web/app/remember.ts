/** Small preferences in the browser's local storage; a browser that forbids storage forgets them. */
export function recall(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Forbidden or full: only a preference is lost.
  }
}

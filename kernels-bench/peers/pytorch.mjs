/** PyTorch in a process of its own (pytorch.py), which does its turns when it is told to. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('pytorch.py', import.meta.url));

/** @param {{ python: string }} settings an interpreter that has PyTorch */
export async function open({ python }) {
  const child = spawn(python, [SCRIPT], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise((_, reject) => {
    child.once('error', reject);
    child.once('exit', (code) =>
      reject(new Error(`${python} ended with ${code}; does it have PyTorch and NumPy?`)),
    );
  });
  // Whoever waits hears of it; at the end of the bench nobody does.
  ended.catch(() => {});
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await Promise.race([lines.next(), ended]);
    return done ? ended : JSON.parse(value);
  };
  const ask = async (request) => {
    child.stdin.write(`${JSON.stringify(request)}\n`);
    return next();
  };
  const variants = await next();
  return Object.entries(variants).map(([variant, ids]) => ({
    name: variant,
    work: Object.fromEntries(
      ids.map((id) => [
        id,
        () => ({
          run: (times) => ask({ variant, id, times }),
          summaries: async () => (await ask({ variant, id, summaries: true })).summaries,
          dispose: () => void ask({ variant, id, free: true }),
        }),
      ]),
    ),
  }));
}

import reportUrl from '../example/report.html?url';
import type { EngineError } from '../protocol.ts';

/** Kindly: why nothing can be computed here, which browsers can, and the way without a browser. */
export function NoWebGpu({ error }: { error: EngineError }) {
  const noAdapter = error.code === 'no-adapter';
  return (
    <div class="stack small">
      <p class="note warn">
        <strong>This browser cannot compute here yet.</strong>{' '}
        {noAdapter
          ? 'The page computes with WebGPU, the browser’s way to the graphics processor, and this browser offers none at the moment.'
          : `${error.problem} ${error.advice}`}
      </p>
      {!isSecureContext && (
        <p>
          Browsers allow WebGPU only on safe addresses: open this page through <code>https://</code>{' '}
          or on <code>localhost</code>.
        </p>
      )}
      <h3>Browsers that can (WebGPU is on by default)</h3>
      <ul class="list">
        <li>Chrome or Edge 113 and newer, on Windows, macOS and ChromeOS</li>
        <li>Chrome on Linux: 144 and newer with Intel (Gen 12 up), 147 and newer with NVIDIA</li>
        <li>Safari 26 and newer</li>
        <li>Firefox 141 and newer on Windows, 145 and newer on Macs with Apple silicon</li>
      </ul>
      <h3>If yours is one of these</h3>
      <ul class="list">
        <li>
          Switch on “Use graphics acceleration when available” in its settings, and restart it.
        </li>
        <li>Bring the graphics driver up to date.</li>
        <li>
          Chrome on other Linux machines: start it with{' '}
          <code>--enable-unsafe-webgpu --enable-features=Vulkan</code>
        </li>
        <li>In a hospital network, ask IT: administrators can switch WebGPU off.</li>
      </ul>
      <h3>Without a browser’s GPU</h3>
      <p>
        <a href={reportUrl}>See the report of an example run</a>: scores, curves and genes of all
        models on the simulated cohort. It needs no graphics processor.
      </p>
      <p>
        The same engine runs in Node 20 or newer, with a software adapter where there is no graphics
        card. It writes a report that any browser opens:
      </p>
      <code class="block">npx histograd demo</code>
      <p>
        In a copy of its source: <code>npm ci && npm start</code>
      </p>
      <button type="button" class="button" onClick={() => location.reload()}>
        Look again
      </button>
      {noAdapter && (
        <details>
          <summary>What was tried</summary>
          <p class="soft">{error.problem}</p>
        </details>
      )}
    </div>
  );
}

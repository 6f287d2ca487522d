/** The worker's script: the engine over the page's data. */
import { AppEngine } from './engine.ts';
import { serve } from './serve.ts';
import { warmUp } from './warm-up.ts';

// Readers of files are large: they come when data are opened.
serve(new AppEngine({ data: () => import('../data/index.ts'), warmUp }));

import { AppEngine } from '../../../src/web/worker/engine.ts';
import { serve } from '../../../src/web/worker/serve.ts';
import { tinyDoor } from './tiny-data.ts';

serve(new AppEngine({ data: async () => tinyDoor }));

import * as Comlink from 'comlink';
import { diagnose } from '../../gpu/doctor.ts';

Comlink.expose({ diagnose });

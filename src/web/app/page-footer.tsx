import { VERSION } from '../../version.ts';

export function PageFooter() {
  return (
    <footer class="footer">
      <p>
        <strong>Nothing leaves this computer.</strong> Slides, tables and models are read, computed
        and stored in this browser only. For research; not for diagnosis.
      </p>
      <p>histograd {VERSION}</p>
    </footer>
  );
}

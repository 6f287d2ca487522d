export function App() {
  return <main>histograd</main>;
}

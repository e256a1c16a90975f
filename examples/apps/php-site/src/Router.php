<?php

declare(strict_types=1);

namespace Example;

/** Says what a path is answered with. */
final class Router
{
    public function __construct(private readonly string $templates)
    {
    }

    /** @return array{int, string, string} status, type and body */
    public function answer(string $path): array
    {
        if ($path === '/') {
            return [200, 'text/html', $this->page('index', ['version' => PHP_VERSION])];
        }
        if (preg_match('#^/hello/([^/]+)$#', $path, $found)) {
            $name = mb_convert_case(rawurldecode($found[1]), MB_CASE_TITLE);
            return [200, 'application/json', json_encode(['hello' => $name], JSON_THROW_ON_ERROR)];
        }
        return [404, 'text/html', $this->page('missing', ['path' => $path])];
    }

    /** @param array<string, string> $values */
    private function page(string $name, array $values): string
    {
        extract(array_map('htmlspecialchars', $values));
        ob_start();
        require "{$this->templates}/$name.php";
        return (string) ob_get_clean();
    }
}

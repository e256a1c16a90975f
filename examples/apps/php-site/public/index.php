<?php

declare(strict_types=1);

use Example\Router;

require __DIR__ . '/../vendor/autoload.php';

$router = new Router(__DIR__ . '/../templates');
[$status, $type, $body] = $router->answer(parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH) ?: '/');

http_response_code($status);
header("Content-Type: $type; charset=utf-8");
echo $body;

<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>PHP</title>
<link rel="stylesheet" href="/style.css">
<h1>Hello from PHP</h1>
<p>nginx asks PHP <?= $version ?>; the style comes without it.</p>
</html>

<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>PHP</title>
<h1>There is no <?= $path ?></h1>
</html>

-- The main chain's headers of one chain from a height on, for the bundle's evidence.
SELECT chain, height, hash, mediantime, header
FROM raw_block
WHERE is_main AND chain = $chain AND height >= $height AND header IS NOT NULL
ORDER BY height;

-- Which blocking issues of October 2026 has nobody waived yet?
SELECT code, ref, detail
FROM issues
WHERE month = '2026-10' AND severity = 'blocking' AND NOT is_waived
ORDER BY code, ref;

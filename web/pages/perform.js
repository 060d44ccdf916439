/**
 * The performer's page.
 * @module
 */
import { createApp } from 'vue';
import { PerformPage } from '../components/perform-page.js';
import { spaceOfPath } from '../lib/names.js';

createApp(PerformPage, { space: spaceOfPath(location.pathname) }).mount('#app');
